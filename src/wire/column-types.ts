/** enum_field_types. */
export const MYSQL_TYPE_DECIMAL = 0x00;
export const MYSQL_TYPE_TINY = 0x01;
export const MYSQL_TYPE_SHORT = 0x02;
export const MYSQL_TYPE_LONG = 0x03;
export const MYSQL_TYPE_FLOAT = 0x04;
export const MYSQL_TYPE_DOUBLE = 0x05;
export const MYSQL_TYPE_NULL = 0x06;
export const MYSQL_TYPE_TIMESTAMP = 0x07;
export const MYSQL_TYPE_LONGLONG = 0x08;
export const MYSQL_TYPE_INT24 = 0x09;
export const MYSQL_TYPE_DATE = 0x0a;
export const MYSQL_TYPE_TIME = 0x0b;
export const MYSQL_TYPE_DATETIME = 0x0c;
export const MYSQL_TYPE_YEAR = 0x0d;
export const MYSQL_TYPE_NEWDATE = 0x0e;
export const MYSQL_TYPE_VARCHAR = 0x0f;
export const MYSQL_TYPE_BIT = 0x10;
export const MYSQL_TYPE_VECTOR = 0xf2;
export const MYSQL_TYPE_JSON = 0xf5;
export const MYSQL_TYPE_NEWDECIMAL = 0xf6;
export const MYSQL_TYPE_ENUM = 0xf7;
export const MYSQL_TYPE_SET = 0xf8;
export const MYSQL_TYPE_TINY_BLOB = 0xf9;
export const MYSQL_TYPE_MEDIUM_BLOB = 0xfa;
export const MYSQL_TYPE_LONG_BLOB = 0xfb;
export const MYSQL_TYPE_BLOB = 0xfc;
export const MYSQL_TYPE_VAR_STRING = 0xfd;
export const MYSQL_TYPE_STRING = 0xfe;
export const MYSQL_TYPE_GEOMETRY = 0xff;

/** Column Definition Flags. */
export const NOT_NULL_FLAG = 1;
export const PRI_KEY_FLAG = 1 << 1;
export const UNIQUE_KEY_FLAG = 1 << 2;
export const MULTIPLE_KEY_FLAG = 1 << 3;
export const BLOB_FLAG = 1 << 4;
export const UNSIGNED_FLAG = 1 << 5;
export const ZEROFILL_FLAG = 1 << 6;
export const BINARY_FLAG = 1 << 7;
export const ENUM_FLAG = 1 << 8;
export const AUTO_INCREMENT_FLAG = 1 << 9;
export const TIMESTAMP_FLAG = 1 << 10;
export const SET_FLAG = 1 << 11;
export const NO_DEFAULT_VALUE_FLAG = 1 << 12;
export const ON_UPDATE_NOW_FLAG = 1 << 13;
export const NUM_FLAG = 1 << 15;

/** Collation ids that the codec and the session name themselves. */
export const COLLATION_LATIN1_SWEDISH_CI = 8;
export const COLLATION_UTF8MB3_GENERAL_CI = 33;
export const COLLATION_UTF8MB4_GENERAL_CI = 45;
/** Numbers and dates carry it too. */
export const COLLATION_BINARY = 63;
/** Unknown to MariaDB before 11.4. */
export const COLLATION_UTF8MB4_0900_AI_CI = 255;
