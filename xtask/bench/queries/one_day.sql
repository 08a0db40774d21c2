SELECT status, COUNT(*) AS requests, SUM(bytes) AS bytes
FROM web_requests
WHERE event_time >= '2026-01-15' AND event_time < '2026-01-16'
GROUP BY status
