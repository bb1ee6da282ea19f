/** A client may name the database in the user name, `dbuser+database`; else its certificate does. Neither is a right. */
export function userAndDatabase(
  user: string,
  certified: string,
): { readonly dbUser: string | null; readonly database: string } {
  const at = user.lastIndexOf('+')
  const dbUser = at < 0 ? user : user.slice(0, at)
  const database = at < 0 ? '' : user.slice(at + 1)
  return { dbUser: dbUser === '' ? null : dbUser, database: database === '' ? certified : database }
}
