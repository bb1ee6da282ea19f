import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { socket } from '../socket-option.ts'

export const authorityCommands = defineGroup({
  name: 'ca',
  summary: 'Authorities',
  commands: [
    defineCommand({
      name: 'status',
      summary: 'List authorities and which of their keys are in use',
      examples: [['sallyctl ca status', 'kind, state, since when']],
      options: { socket },
      run: async (context) => (await import('./authorities.ts')).showAuthorities(context),
    }),
    defineCommand({
      name: 'export',
      summary: 'Print the public keys of one authority',
      examples: [
        ['sallyctl ca export --kind=onward-ssh >/etc/ssh/sallyport.pub', "for sshd's TrustedUserCAKeys on a target"],
      ],
      options: {
        socket,
        kind: { kind: 'text', value: 'kind', summary: 'as sallyctl ca status names it', required: true },
      },
      run: async (context, input) => (await import('./authorities.ts')).exportAuthority(context, input.options.kind),
    }),
  ],
})
