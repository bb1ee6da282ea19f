import { Refused } from '../../foundation/errors.ts'
import type { ServerUsers } from './server-users.ts'

const refuse = (): Promise<never> =>
  Promise.reject(new Refused('upstream_refused', 'users are made on connect on PostgreSQL alone'))

/** None are made there. */
export const mariadbUsers: ServerUsers = { open: refuse, close: refuse }
