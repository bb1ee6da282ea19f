import { defineCommand, defineGroup } from '../../shared/define-command.ts'

export const mfaCommands = defineGroup({
  name: 'mfa',
  summary: 'Your second factors',
  commands: [
    defineCommand({
      name: 'ls',
      summary: 'List them',
      examples: [['sally mfa ls', 'kind, name, since when']],
      run: async (context) => (await import('./factors.ts')).listFactors(context),
    }),
    defineCommand({
      name: 'add',
      summary: 'Add an authenticator app',
      examples: [
        ['sally mfa add', 'shows the secret, then asks for the first code'],
        ['sally mfa add --name=phone --secret-only', 'shows the secret; confirm later with --confirm=ID --code=DIGITS'],
      ],
      options: {
        name: { kind: 'text', value: 'name', summary: 'what you call it (default: authenticator)' },
        secretOnly: { kind: 'switch', summary: 'show the secret and stop there' },
        confirm: { kind: 'text', value: 'id', summary: 'confirm one added with --secret-only; needs --code' },
      },
      run: async (context, input) => (await import('./add-factor.ts')).addFactor(context, input.options),
    }),
    defineCommand({
      name: 'rm',
      summary: 'Remove one; needs a code of a factor that you have',
      examples: [['sally mfa rm fac_...', 'codes of it stop working']],
      arguments: { id: { summary: 'id of the factor' } },
      run: async (context, input) => (await import('./factors.ts')).removeFactor(context, input.arguments.id),
    }),
  ],
})
