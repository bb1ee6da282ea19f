export const COMMAND = {
  QUIT: 0x01,
  INIT_DB: 0x02,
  QUERY: 0x03,
  FIELD_LIST: 0x04,
  STATISTICS: 0x09,
  PROCESS_KILL: 0x0c,
  PING: 0x0e,
  CHANGE_USER: 0x11,
  BINLOG_DUMP: 0x12,
  STMT_PREPARE: 0x16,
  STMT_EXECUTE: 0x17,
  STMT_SEND_LONG_DATA: 0x18,
  STMT_CLOSE: 0x19,
  STMT_RESET: 0x1a,
  SET_OPTION: 0x1b,
  STMT_FETCH: 0x1c,
  RESET_CONNECTION: 0x1f,
} as const

/** What the server answers. nothing: it does not. */
export type AnswerShape = 'nothing' | 'ok' | 'results' | 'prepared' | 'rows' | 'fields' | 'text'

/**
 * The commands that pass. Whatever is not here is refused: those that change the user (CHANGE_USER), stream the binary log
 * or manage the server (REGISTER_SLAVE, BINLOG_DUMP, SHUTDOWN, REFRESH, DEBUG, CLONE ...), and those of later protocols.
 */
const ANSWERS: ReadonlyMap<number, AnswerShape> = new Map<number, AnswerShape>([
  [COMMAND.QUIT, 'nothing'],
  [COMMAND.INIT_DB, 'ok'],
  [COMMAND.QUERY, 'results'],
  [COMMAND.FIELD_LIST, 'fields'],
  [COMMAND.STATISTICS, 'text'],
  [COMMAND.PROCESS_KILL, 'ok'],
  [COMMAND.PING, 'ok'],
  [COMMAND.STMT_PREPARE, 'prepared'],
  [COMMAND.STMT_EXECUTE, 'results'],
  [COMMAND.STMT_SEND_LONG_DATA, 'nothing'],
  [COMMAND.STMT_CLOSE, 'nothing'],
  [COMMAND.STMT_RESET, 'ok'],
  [COMMAND.SET_OPTION, 'ok'],
  [COMMAND.STMT_FETCH, 'rows'],
  [COMMAND.RESET_CONNECTION, 'ok'],
])

/** Null: this command is refused. */
export const answerOf = (command: number): AnswerShape | null => ANSWERS.get(command) ?? null
