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
        [
          'sallyctl ca export --kind=database-x509 >sallyport-ca.pem',
          "for PostgreSQL's ssl_ca_file and MySQL's ssl-ca",
        ],
      ],
      options: {
        socket,
        kind: { kind: 'text', value: 'kind', summary: 'as sallyctl ca status names it', required: true },
      },
      run: async (context, input) => (await import('./authorities.ts')).exportAuthority(context, input.options.kind),
    }),
    defineCommand({
      name: 'rotate',
      summary: 'Take one step of the exchange of an authority by a new one',
      examples: [
        ['sallyctl ca rotate --kind=user-ssh --step=init', 'make and publish the new key; nothing uses it yet'],
        ['sallyctl ca rotate --kind=user-ssh --step=trust', 'what either key signed is taken'],
        ['sallyctl ca rotate --kind=user-ssh --step=sign', 'the new one signs'],
        ['sallyctl ca rotate --kind=user-ssh --step=drop', 'what the old one signed is refused from now on'],
      ],
      options: {
        socket,
        kind: { kind: 'text', value: 'kind', summary: 'as sallyctl ca status names it', required: true },
        step: {
          kind: 'choice',
          choices: ['init', 'trust', 'sign', 'drop', 'cancel'],
          summary: 'the next step; cancel goes back while the new key does not sign yet',
        },
      },
      run: async (context, { options }) =>
        (await import('./authorities.ts')).rotateAuthority(context, options.kind, options.step),
    }),
  ],
})
