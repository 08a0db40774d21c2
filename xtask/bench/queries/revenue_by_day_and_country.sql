SELECT CAST(order_time AS DATE) AS day, country, SUM(total) AS revenue, COUNT(*) AS orders
FROM orders
GROUP BY CAST(order_time AS DATE), country
