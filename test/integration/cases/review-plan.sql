-- What a review of the planner found.
-- MIN and MAX of BIT are numbers.
SELECT MIN(flags), MAX(flags) FROM users;
-- A no-break space is no white space to the servers.
SELECT id FROM users WHERE id = ' 5';
SELECT id FROM users WHERE id = '\t5';
-- BETWEEN compares by the types of all three operands.
SELECT at, seq FROM events WHERE at BETWEEN '2024-01-15' AND 20240401;
SELECT at, seq FROM events WHERE at BETWEEN '2024-01-15' AND NULL;
-- INSERT without a column list.
INSERT INTO orders VALUES (900, 1, 1.50, 1, 'x', NULL), (901, 2, 2.50, 2, 'y', DEFAULT);
INSERT INTO orders SELECT 902, user_id, amount, quantity, note, placed FROM orders WHERE user_id = 1 AND id = 900;
SELECT * FROM orders WHERE id >= 900 ORDER BY id;
INSERT INTO countries VALUES ('zz', 'Nowhere');
SELECT * FROM countries ORDER BY code;
INSERT INTO orders VALUES (903, 1);
DELETE FROM orders WHERE id >= 900;
