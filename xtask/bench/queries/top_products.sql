SELECT p.product_id, p.name, p.category, SUM(i.quantity * i.unit_price) AS revenue, SUM(i.quantity) AS units
FROM order_items i
JOIN products p ON p.product_id = i.product_id
GROUP BY p.product_id, p.name, p.category
ORDER BY revenue DESC, p.product_id
LIMIT 50
