-- What a session says of itself, on whichever connection its statements run.
-- Warnings are those of the session, not of whoever used the connection before.
SELECT id, CAST(name AS SIGNED) FROM users ORDER BY id;
SELECT @@warning_count;
SELECT id, CAST(name AS SIGNED) FROM users WHERE id = 1;
SELECT @@warning_count, @@error_count;
SELECT id FROM users WHERE id = 1;
SELECT @@warning_count AS w, @@session.error_count AS e;
SELECT nothing FROM users;
SELECT @@error_count;
SELECT @@pseudo_thread_id = CONNECTION_ID() AS same;
-- SET has warnings of its own.
SET big_tables = 1;
SHOW WARNINGS;
SET big_tables = 1;
SHOW COUNT(*) WARNINGS;
SET big_tables = 0;
SELECT id FROM users WHERE id = 1;
SHOW WARNINGS;
SET @a = CAST('x' AS SIGNED);
SHOW WARNINGS;
-- A word is a value for a setting only.
SET @a = 5;
SET @a = foo;
SELECT @a;
SET sql_mode = ANSI_QUOTES;
SET @a = "abc";
SELECT @a;
SET sql_mode = DEFAULT;
-- Each of the variables of character sets changes others.
SET character_set_connection = latin1;
SELECT CHARSET('a') = 'latin1', COLLATION('a') = 'latin1_swedish_ci';
SELECT @@character_set_client = 'utf8mb4', @@character_set_connection = 'latin1', @@collation_connection = 'utf8mb4_bin', LENGTH(@@collation_connection);
SELECT n FROM notes WHERE tenant = 'acme' ORDER BY n;
SELECT n FROM notes WHERE tenant = 'ácme' ORDER BY n;
SET NAMES utf8mb4;
SET collation_connection = 'latin1_swedish_ci';
SELECT @@character_set_client = 'utf8mb4', @@character_set_connection = 'latin1', @@collation_connection = 'utf8mb4_bin', LENGTH(@@collation_connection);
SET NAMES utf8mb4;
SET character_set_connection = ucs2, collation_connection = 'ucs2_general_ci';
SELECT n FROM notes WHERE tenant = 'acme' ORDER BY n;
SET character_set_connection = utf8mb4, collation_connection = 'utf8mb4_bin';
SELECT @@character_set_client = 'utf8mb4', @@character_set_connection = 'latin1', @@collation_connection = 'utf8mb4_bin', LENGTH(@@collation_connection);
SET collation_connection = 'latin1_swedish_ci', character_set_connection = utf8mb4;
SELECT @@character_set_connection = 'utf8mb4';
SET NAMES utf8mb4;
-- SET TRANSACTION is for the next transaction, and a write that it refuses begins none.
SET TRANSACTION READ ONLY;
UPDATE users SET score = 1 WHERE id = 1;
UPDATE users SET score = 1 WHERE id = 1;
UPDATE users SET score = 1;
SELECT id FROM users WHERE id = 1;
UPDATE users SET score = 10 WHERE id = 1;
