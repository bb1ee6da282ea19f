import type { Replay } from '../audit/commit-deed.ts'
import { replayAddLock } from './locks.ts'
import { replayEndLogins } from './login-sessions.ts'
import { replayRemoveToken } from './service-tokens.ts'
import { replayDisableUser, replayRemoveUser, replayResetUser } from './users.ts'

/** Orders of this folder that may wait in the spill file, for DeedLog.registerReplay at start. */
export const IDENTITY_REPLAYS: Readonly<Record<string, Replay>> = {
  'login.end': replayEndLogins,
  'user.disable': replayDisableUser,
  'user.remove': replayRemoveUser,
  'user.reset': replayResetUser,
  'lock.add': replayAddLock,
  'token.remove': replayRemoveToken,
}
