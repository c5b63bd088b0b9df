-- Rows of a database that the first release left behind: an incident that is
-- over, one that somebody looks after, one that is being paged.
INSERT INTO incidents VALUES (1, 'payment-service/payment-availability', 'payment-service', 'payment-availability', 'SLOErrorBudgetBurn', 1, 'resolved', 0, 1795227600000, 1795227605123, 1795227700000, 'zhang', 1795229000000, '', 2, 0, '[{"source":"logs","window":600000000000}]');
INSERT INTO incidents VALUES (2, 'Down', '', '', '预算在燃烧', 2, 'acknowledged', 1, 1795227600000, 1795227605123, 1795227700000, 'li', 0, '', 1, 0, NULL);
INSERT INTO incidents VALUES (3, 'payment-service/payment-availability', 'payment-service', 'payment-availability', 'SLOErrorBudgetBurn', 1, 'open', 0, 1795230000000, 1795230000000, 0, '', 0, '', 1, 1795230300000, '[]');
INSERT INTO alerts VALUES (1, 1, -6384013420331287310, 0, '{"alertname":"SLOErrorBudgetBurn","cluster":"hangzhou"}', '{"summary":"x"}', 'http://p', 'resolved', 1795227600000, 1795229000000, 1795229000000);
INSERT INTO alerts VALUES (2, 2, 77, 1, '{"alertname":"Down"}', '{}', '', 'expired', 1795227600000, 1795227900000, 1795227605123);
INSERT INTO alerts VALUES (3, 3, -6384013420331287310, 1, '{"alertname":"SLOErrorBudgetBurn","cluster":"hangzhou"}', '{"summary":"x"}', 'http://p', 'firing', 1795230000000, 1795230240000, 1795230000000);
INSERT INTO events VALUES (1, 1, 1795227605123, 'opened', '', 'opened as P1: SLOErrorBudgetBurn');
INSERT INTO events VALUES (2, 1, 1795227700000, 'acknowledged', 'zhang', '');
INSERT INTO pages VALUES (1, '1/1/opened/zhang/wecom', 1, 'opened', 1, 1, 'zhang', '张伟', 'wecom', 'ZhangWei', 'Asia/Shanghai', 1795227605123, 'sent', 1, 1795227605123, 0, 1795227608000, '');
INSERT INTO pages VALUES (2, '3/1/opened/zhang/wecom', 3, 'opened', 1, 1, 'zhang', '张伟', 'wecom', 'ZhangWei', 'Asia/Shanghai', 1795230000000, 'queued', 1, 1795230000000, 1795230060000, 0, '');
INSERT INTO pages VALUES (3, '3/1/opened/zhang/email', 3, 'opened', 1, 1, 'zhang', '张伟', 'email', 'zhang@example.com', 'Asia/Shanghai', 1795230000000, 'queued', 2, 1795230120000, 0, 0, 'connection refused');
