/** What lets somebody look, and nothing else. */
const READING: ReadonlySet<string> = new Set(['USAGE', 'SELECT', 'SHOW VIEW', 'SHOW DATABASES'])

/**
 * The first line of SHOW GRANTS that permits more than reading, shortened for people; null: none does. What is not understood
 * counts as writing.
 */
export function writingGrant(lines: readonly string[]): string | null {
  const line = lines.find((each) => !isReading(each))
  return line === undefined ? null : line.replace(/ IDENTIFIED .*$/s, '').slice(0, 120)
}

const NAME = '`(?:[^`]|``)+`'
/** Somebody, a role, or everybody */
const WHO = `(?:${NAME}(?:@\`(?:[^\`]|\`\`)*\`)?|PUBLIC)`
const ROLE_TO = new RegExp(`^GRANT ${NAME} TO ${WHO}$`)
const DEFAULT_ROLE = new RegExp(`^SET DEFAULT ROLE ${NAME} FOR ${WHO}$`)
const RIGHTS_ON = new RegExp(
  `^GRANT ([A-Z ,]+) ON (?:\\*\\.\\*|${NAME}\\.(?:\\*|${NAME})) TO ${WHO}(?: (?:IDENTIFIED|REQUIRE) .*)?$`,
)
/** Of single columns */
const COLUMNS = new RegExp(` \\(${NAME}(?:, ${NAME})*\\)`, 'g')

function isReading(line: string): boolean {
  // A role that is handed on by a role is listed with its own lines.
  if (ROLE_TO.test(line) || DEFAULT_ROLE.test(line)) return true
  if (/ WITH (?:GRANT|ADMIN) OPTION$/.test(line)) return false
  const [, rights] = RIGHTS_ON.exec(line.replace(COLUMNS, '')) ?? []
  return rights !== undefined && rights.split(', ').every((right) => READING.has(right))
}
