SELECT e.campaign_id,
       SUM(e.cost) AS spend,
       SUM(o.total) AS revenue,
       CAST(SUM(o.total) AS DOUBLE) / CAST(SUM(e.cost) AS DOUBLE) AS roas
FROM ad_events e
LEFT JOIN orders o ON o.order_id = e.order_id AND o.status <> 'cancelled'
GROUP BY e.campaign_id
