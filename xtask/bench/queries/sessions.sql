WITH requests AS (
  SELECT event_time, LAG(event_time) OVER (PARTITION BY client_ip, user_agent ORDER BY event_time) AS previous
  FROM web_requests
  WHERE NOT is_bot
)
SELECT CAST(event_time AS DATE) AS day, COUNT(*) AS sessions
FROM requests
WHERE previous IS NULL OR event_time > previous + INTERVAL '30 minutes'
GROUP BY CAST(event_time AS DATE)
