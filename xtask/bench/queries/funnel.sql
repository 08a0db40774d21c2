SELECT CAST(event_time AS DATE) AS day,
       COUNT(DISTINCT client_ip) AS visitors,
       COUNT(DISTINCT CASE WHEN path LIKE '/product/%' THEN client_ip END) AS saw_a_product,
       COUNT(DISTINCT CASE WHEN path = '/cart/add' THEN client_ip END) AS filled_a_cart,
       COUNT(DISTINCT CASE WHEN path = '/checkout' THEN client_ip END) AS went_to_checkout
FROM web_requests
WHERE status < 400
GROUP BY CAST(event_time AS DATE)
