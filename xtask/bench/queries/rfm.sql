WITH customers AS (
  SELECT customer_id, MAX(order_time) AS newest, COUNT(*) AS orders, SUM(total) AS revenue
  FROM orders
  GROUP BY customer_id
), scored AS (
  SELECT revenue,
         NTILE(5) OVER (ORDER BY newest, customer_id) AS recency,
         NTILE(5) OVER (ORDER BY orders, customer_id) AS frequency,
         NTILE(5) OVER (ORDER BY revenue, customer_id) AS monetary
  FROM customers
)
SELECT recency, frequency, monetary, COUNT(*) AS customers, SUM(revenue) AS revenue
FROM scored
GROUP BY recency, frequency, monetary
