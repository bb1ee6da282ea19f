import { defineCommand, defineGroup } from '../../shared/define-command.ts'

export const login = defineCommand({
  name: 'login',
  summary: 'Sign in on this device',
  examples: [
    ['sally login --proxy=access.example:3022 --ca-pin=sha256:... --invite=CODE', 'the first time: sets your password'],
    ['sally login', 'again, at the same proxy'],
    ['sally login --password-stdin --code=123456 <password.txt', 'without questions'],
  ],
  options: {
    proxy: {
      kind: 'text',
      value: 'host:port',
      summary: 'the proxy; remembered after the first time',
      env: 'SALLY_PROXY',
    },
    user: { kind: 'text', value: 'name', summary: 'your user name; remembered', env: 'SALLY_USER' },
    caPin: { kind: 'text', value: 'sha256:hex', summary: "fingerprint of the proxy's authority", env: 'SALLY_CA_PIN' },
    invite: { kind: 'text', value: 'code', summary: 'one-time code of an invitation', env: 'SALLY_INVITE' },
    passwordStdin: { kind: 'switch', summary: 'read the password from standard input (or SALLY_PASSWORD)' },
  },
  run: async (context, input) => (await import('./sign-in.ts')).signIn(context, input.options),
})

export const status = defineCommand({
  name: 'status',
  summary: 'Who you are, until when, and what you may use now',
  examples: [['sally status', 'user, login, active grants']],
  run: async (context) => (await import('./show-status.ts')).showStatus(context),
})

export const logout = defineCommand({
  name: 'logout',
  summary: 'End the login of this device; its live sessions close',
  examples: [['sally logout', 'certificate and token stop working at once']],
  run: async (context) => (await import('./sign-out.ts')).signOut(context),
})

export const logins = defineGroup({
  name: 'logins',
  summary: 'Devices that are signed in as you',
  commands: [
    defineCommand({
      name: 'ls',
      summary: 'List them',
      examples: [['sally logins ls', 'device, address, factors, last use']],
      run: async (context) => (await import('./logins.ts')).listLogins(context),
    }),
    defineCommand({
      name: 'end',
      summary: 'End one; its live sessions close within a second',
      examples: [['sally logins end lgn_...', 'a device that you do not have any more']],
      arguments: { id: { summary: 'id of the login' } },
      run: async (context, input) => (await import('./logins.ts')).endLogin(context, input.arguments.id),
    }),
  ],
})
