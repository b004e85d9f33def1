-- The tables of the differential cases: users and orders hash by user, events range by day, notes
-- by tenant, countries on every shard, settings whole on one.
CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, email VARCHAR(80), country CHAR(2), score INT, balance DECIMAL(12,2), ratio DOUBLE, born DATE, created DATETIME(3), bio TEXT, flags BIT(8), level ENUM('low','mid','high'));
CREATE TABLE orders (id BIGINT NOT NULL, user_id BIGINT NOT NULL, amount DECIMAL(10,2) NOT NULL, quantity INT UNSIGNED NOT NULL, note VARCHAR(100), placed DATETIME, PRIMARY KEY (user_id, id));
CREATE TABLE events (at DATE NOT NULL, seq INT NOT NULL, what VARCHAR(30), PRIMARY KEY (at, seq));
CREATE TABLE notes (tenant VARCHAR(30) NOT NULL, n INT NOT NULL, body TEXT, PRIMARY KEY (tenant, n));
CREATE TABLE countries (code CHAR(2) NOT NULL PRIMARY KEY, title VARCHAR(40) NOT NULL);
CREATE TABLE settings (k VARCHAR(30) NOT NULL PRIMARY KEY, v VARCHAR(200));
INSERT INTO countries (code, title) VALUES ('de','Deutschland'),('fr','France'),('jp','日本'),('br','Brasil');
INSERT INTO settings VALUES ('theme','dark'),('limit','10');
INSERT INTO users (id,name,email,country,score,balance,ratio,born,created,bio,flags,level) VALUES
 (1,'Anna','anna@example.org','de',10,100.50,0.1,'1990-01-01','2024-01-01 00:00:00.123','first',b'00000001','low'),
 (2,'anna','ANNA@example.org','fr',20,-5.25,1e10,'1985-05-05','2024-01-02 10:00:00',NULL,b'10000000','high'),
 (3,'Änne','anne@example.org','de',NULL,0.00,-2.5,NULL,'2024-01-03 23:59:59.999','tab\there',b'00000000','mid'),
 (4,'Bob','bob@example.org','jp',30,99999999.99,3.141592653589793,'2000-02-29','2024-02-29 12:00:00','quote '' here',NULL,NULL),
 (5,'bob ','bob2@example.org',NULL,20,0.01,1e-7,'1970-01-01','1999-12-31 23:59:59','',b'11111111','low'),
 (6,'Çelik','c@example.org','br',-7,12.34,NULL,'2010-10-10',NULL,'日本語',b'01010101','mid'),
 (7,'Dora',NULL,'fr',0,50.00,100,'1995-12-31','2024-06-30 06:06:06','x',b'00000010','high'),
 (8,'Zoë','zoe@example.org','br',2147483647,7.77,0.3333333333333333,'1999-09-09','2023-03-03 03:03:03.003','y',b'00000011','low'),
 (9,'ZOE','zoe2@example.org','de',-2147483648,7.77,0.6666666666666666,'1999-09-10','2023-03-03 03:03:03.004','z',b'00000100','low'),
 (10,'Éva','eva@example.org','fr',15,1000.00,1.5,'1988-08-08','2022-02-02 02:02:02','w',b'00000101','mid');
INSERT INTO orders (id,user_id,amount,quantity,note,placed) VALUES
 (1,1,10.00,1,'a','2024-01-05 10:00:00'),(2,1,20.50,2,NULL,'2024-01-06 10:00:00'),(3,2,5.25,1,'b','2024-01-07 10:00:00'),
 (4,3,7.75,3,'B','2024-01-08 10:00:00'),(5,3,0.01,4294967295,'c','2024-01-09 10:00:00'),(6,4,99999999.99,1,NULL,NULL),
 (7,5,1.10,1,'d','2024-01-11 10:00:00'),(8,6,2.20,2,'ä','2024-01-12 10:00:00'),(9,7,3.30,3,'A','2024-01-13 10:00:00'),
 (10,8,4.40,4,'é','2024-01-14 10:00:00'),(11,9,5.50,5,'E','2024-01-15 10:00:00'),(12,10,6.60,6,'f','2024-01-16 10:00:00'),
 (13,1,7.70,7,'g','2024-01-17 10:00:00'),(14,2,8.80,8,'h','2024-01-18 10:00:00');
INSERT INTO events (at,seq,what) VALUES ('2023-12-31',1,'old'),('2024-01-01',1,'new year'),('2024-01-15',1,'a'),('2024-03-31',1,'b'),('2024-04-01',1,'c'),('2024-07-01',1,'d'),('2025-01-01',1,'e'),('2025-01-01',2,'f');
INSERT INTO notes (tenant,n,body) VALUES ('acme',1,'x'),('acme',2,'y'),('globex',1,'z'),('initech',1,'q'),('umbrella',1,'r');
