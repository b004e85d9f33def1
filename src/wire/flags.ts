/** Constants of the protocol under the names of the manual (MySQL Source Documentation, "Client/Server Protocol"). */

/** Capability Flags. Unsigned 32 bits: combine with `|` and then `>>> 0`. */
export const CLIENT_LONG_PASSWORD = 1;
export const CLIENT_FOUND_ROWS = 1 << 1;
export const CLIENT_LONG_FLAG = 1 << 2;
export const CLIENT_CONNECT_WITH_DB = 1 << 3;
export const CLIENT_NO_SCHEMA = 1 << 4;
export const CLIENT_COMPRESS = 1 << 5;
export const CLIENT_ODBC = 1 << 6;
export const CLIENT_LOCAL_FILES = 1 << 7;
export const CLIENT_IGNORE_SPACE = 1 << 8;
export const CLIENT_PROTOCOL_41 = 1 << 9;
export const CLIENT_INTERACTIVE = 1 << 10;
export const CLIENT_SSL = 1 << 11;
export const CLIENT_IGNORE_SIGPIPE = 1 << 12;
export const CLIENT_TRANSACTIONS = 1 << 13;
export const CLIENT_RESERVED = 1 << 14;
/** Called CLIENT_RESERVED2 by MySQL 8; every server and client still sets it for 4.1 passwords. */
export const CLIENT_SECURE_CONNECTION = 1 << 15;
export const CLIENT_MULTI_STATEMENTS = 1 << 16;
export const CLIENT_MULTI_RESULTS = 1 << 17;
export const CLIENT_PS_MULTI_RESULTS = 1 << 18;
export const CLIENT_PLUGIN_AUTH = 1 << 19;
export const CLIENT_CONNECT_ATTRS = 1 << 20;
export const CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA = 1 << 21;
export const CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22;
export const CLIENT_SESSION_TRACK = 1 << 23;
export const CLIENT_DEPRECATE_EOF = 1 << 24;
export const CLIENT_OPTIONAL_RESULTSET_METADATA = 1 << 25;
export const CLIENT_ZSTD_COMPRESSION_ALGORITHM = 1 << 26;
export const CLIENT_QUERY_ATTRIBUTES = 1 << 27;

/** SERVER_STATUS_flags_enum. */
export const SERVER_STATUS_IN_TRANS = 1;
export const SERVER_STATUS_AUTOCOMMIT = 1 << 1;
export const SERVER_MORE_RESULTS_EXISTS = 1 << 3;
export const SERVER_QUERY_NO_GOOD_INDEX_USED = 1 << 4;
export const SERVER_QUERY_NO_INDEX_USED = 1 << 5;
export const SERVER_STATUS_CURSOR_EXISTS = 1 << 6;
export const SERVER_STATUS_LAST_ROW_SENT = 1 << 7;
export const SERVER_STATUS_DB_DROPPED = 1 << 8;
export const SERVER_STATUS_NO_BACKSLASH_ESCAPES = 1 << 9;
export const SERVER_STATUS_METADATA_CHANGED = 1 << 10;
export const SERVER_QUERY_WAS_SLOW = 1 << 11;
export const SERVER_PS_OUT_PARAMS = 1 << 12;
export const SERVER_STATUS_IN_TRANS_READONLY = 1 << 13;
export const SERVER_SESSION_STATE_CHANGED = 1 << 14;

/** enum_server_command. */
export const COM_SLEEP = 0x00;
export const COM_QUIT = 0x01;
export const COM_INIT_DB = 0x02;
export const COM_QUERY = 0x03;
export const COM_FIELD_LIST = 0x04;
export const COM_CREATE_DB = 0x05;
export const COM_DROP_DB = 0x06;
export const COM_REFRESH = 0x07;
export const COM_SHUTDOWN = 0x08;
export const COM_STATISTICS = 0x09;
export const COM_PROCESS_INFO = 0x0a;
export const COM_PROCESS_KILL = 0x0c;
export const COM_DEBUG = 0x0d;
export const COM_PING = 0x0e;
export const COM_CHANGE_USER = 0x11;
export const COM_BINLOG_DUMP = 0x12;
export const COM_REGISTER_SLAVE = 0x15;
export const COM_STMT_PREPARE = 0x16;
export const COM_STMT_EXECUTE = 0x17;
export const COM_STMT_SEND_LONG_DATA = 0x18;
export const COM_STMT_CLOSE = 0x19;
export const COM_STMT_RESET = 0x1a;
export const COM_SET_OPTION = 0x1b;
export const COM_STMT_FETCH = 0x1c;
export const COM_RESET_CONNECTION = 0x1f;

/** enum_mysql_set_option. */
export const MYSQL_OPTION_MULTI_STATEMENTS_ON = 0;
export const MYSQL_OPTION_MULTI_STATEMENTS_OFF = 1;

/** First payload byte of a generic response. */
export const OK_MARKER = 0x00;
export const AUTH_MORE_DATA_MARKER = 0x01;
export const LOCAL_INFILE_MARKER = 0xfb;
export const EOF_MARKER = 0xfe;
export const ERR_MARKER = 0xff;

/** Three bytes of length, one of sequence. */
export const PACKET_HEADER_BYTES = 4;
/** A packet of this length is continued by the next one ("Sending More Than 16Mb"). */
export const PACKET_PAYLOAD_MAX = 0xffffff;
/** EOF_Packet: "check whether the packet length is less than 9" before taking 0xFE for an EOF. */
export const EOF_PAYLOAD_LIMIT = 9;
