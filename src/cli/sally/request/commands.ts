import { defineCommand, defineGroup } from '../../shared/define-command.ts'
import { REQUEST_FILTERS } from '../../shared/request-filters.ts'

const id = { summary: 'id of the request' } as const

const create = defineCommand({
  name: 'create',
  aliases: ['new'],
  summary: 'Ask for roles or resources and wait for the answer',
  examples: [
    [
      'sally request create --roles=dba --reason="ticket #1234" --duration=1h',
      'asks, waits, and ends with the decision',
    ],
    ['sally request create --roles=dba --reason="ticket #1234" --nowait', 'asks and returns at once'],
    [
      'sally request create --resource=node/db-box --login=root --reason="disk full"',
      'asks for one node and one login there; the role that gives it is worked out',
    ],
    [
      'sally request create --roles=dba --reason="release" --start=first-use',
      'its clock starts with the first connection, within a day of the approval',
    ],
    ["sally request create --roles='*' --dry-run", 'tells what could be asked for and who would decide'],
  ],
  options: {
    roles: { kind: 'list', value: 'a,b', summary: "roles to ask for; '*' = all that you may ask for" },
    resource: {
      kind: 'list',
      value: 'kind/name',
      summary: 'resources to ask for instead of all that a role gives; several are one request',
    },
    login: { kind: 'text', value: 'login', summary: 'of the resources only this login' },
    dbUser: { kind: 'text', value: 'user', summary: 'of the databases only this db user' },
    reason: { kind: 'text', value: 'text', summary: 'why; reviewers see it' },
    duration: { kind: 'text', value: 'length', summary: 'for how long, such as 30m or 1h; counted from the start' },
    start: {
      kind: 'text',
      value: 'when',
      summary: 'when the clock starts: at the approval (default), first-use, +2h or 2026-11-23T09:00',
    },
    pendingFor: { kind: 'text', value: 'length', summary: 'how long it may wait for reviewers' },
    reviewers: { kind: 'list', value: 'u,v', summary: 'whom you suggest as reviewers' },
    nowait: { kind: 'switch', summary: 'return as soon as the request is filed' },
    dryRun: { kind: 'switch', summary: 'only tell what would be asked; nothing is stored' },
  },
  run: async (context, input) => (await import('./create-request.ts')).createRequest(context, input.options),
})

const search = defineCommand({
  name: 'search',
  summary: 'Find resources that you may ask for',
  examples: [
    ['sally request search --kind=node env=prod', 'nodes with this label, and the command that asks for them'],
    ['sally request search db box', 'whatever has both words in its name or labels'],
  ],
  arguments: { terms: { summary: 'label=value, or words', optional: true, many: true } },
  options: {
    kind: {
      kind: 'choice',
      choices: ['node', 'database', 'kube_cluster', 'app'],
      summary: 'only resources of this kind',
    },
  },
  run: async (context, input) =>
    (await import('./search-requestable.ts')).searchRequestable(context, input.arguments.terms, input.options.kind),
})

const ls = defineCommand({
  name: 'ls',
  summary: 'List requests',
  examples: [
    ['sally request ls --reviewable', 'those that wait for your vote'],
    ['sally request ls --role=dba --since=7d --text=1234', 'last week, for dba, with 1234 in the reason'],
  ],
  options: {
    mine: { kind: 'switch', summary: 'asked by you' },
    reviewable: { kind: 'switch', summary: 'waiting for your vote' },
    reviewed: { kind: 'switch', summary: 'you have voted on it, or somebody for you' },
    all: { kind: 'switch', summary: 'all that you may see (the default)' },
    ...REQUEST_FILTERS,
  },
  run: async (context, input) => (await import('./list-requests.ts')).listRequests(context, input.options),
})

const show = defineCommand({
  name: 'show',
  summary: 'Show one request with its votes and what it still needs',
  examples: [['sally request show ID --wait', 'waits until it is decided']],
  arguments: { id },
  options: { wait: { kind: 'switch', summary: 'wait until it is decided' } },
  run: async (context, input) =>
    (await import('./show-request.ts')).showRequest(context, input.arguments.id, input.options.wait),
})

const review = defineCommand({
  name: 'review',
  summary: 'Vote on a request',
  examples: [
    ['sally request review ID --approve --reason="looks right"', 'approves what was shown, and nothing else'],
    ['sally request review ID --approve --duration=30m', 'approves for a shorter time'],
    ['sally request review ID --deny --on-behalf-of=bob', 'as the delegate of bob, who is away'],
  ],
  arguments: { id },
  options: {
    approve: { kind: 'switch', summary: 'vote for it' },
    deny: { kind: 'switch', summary: 'vote against it' },
    onBehalfOf: { kind: 'text', value: 'user', summary: 'for whom you vote, when you stand in for several' },
    reason: { kind: 'text', value: 'text', summary: 'why; the requester sees it' },
    duration: { kind: 'text', value: 'length', summary: 'approve for less time than was asked' },
    start: { kind: 'text', value: 'when', summary: 'approve from a later time, such as +2h or 2026-11-23T09:00' },
  },
  run: async (context, input) => (await import('./vote.ts')).vote(context, input.arguments.id, input.options),
})

const extend = defineCommand({
  name: 'extend',
  summary: 'Ask for more time for access that you have',
  examples: [
    [
      'sally request extend ID --duration=30m --reason="restore still runs"',
      'counted from its end; reviewers decide as on any request, and open sessions go on',
    ],
  ],
  arguments: { id: { summary: 'id of the request that gave the access, or of the grant' } },
  options: {
    duration: { kind: 'text', value: 'length', summary: 'how much more, such as 30m', required: true },
    reason: { kind: 'text', value: 'text', summary: 'why; reviewers see it' },
    pendingFor: { kind: 'text', value: 'length', summary: 'how long it may wait for reviewers' },
    reviewers: { kind: 'list', value: 'u,v', summary: 'whom you suggest as reviewers' },
    nowait: { kind: 'switch', summary: 'return as soon as it is filed' },
  },
  run: async (context, input) =>
    (await import('./extend-grant.ts')).extendGrant(context, input.arguments.id, input.options),
})

const cancel = defineCommand({
  name: 'cancel',
  summary: 'Withdraw a request of yours that is still undecided',
  examples: [['sally request cancel ID', 'nobody can approve it any more']],
  arguments: { id },
  run: async (context, input) => (await import('./end-request.ts')).cancelRequest(context, input.arguments.id),
})

const giveBack = defineCommand({
  name: 'return',
  summary: 'Give access back before its time is over',
  examples: [['sally request return ID', 'sessions that only it permits are closed']],
  arguments: { id },
  run: async (context, input) => (await import('./end-request.ts')).returnGrant(context, input.arguments.id),
})

const breakGlass = defineCommand({
  name: 'break-glass',
  summary: 'Take roles in an emergency without waiting for anybody; everybody who reviews them is told',
  examples: [
    ['sally request break-glass --roles=dba --reason="orders are down" --duration=30m', 'asks you to type the role'],
    ['sally request break-glass --roles=dba --reason="orders are down" --confirm=dba --code=123456', 'for a program'],
  ],
  options: {
    roles: { kind: 'list', value: 'a,b', summary: 'roles to take', required: true },
    reason: { kind: 'text', value: 'text', summary: 'why; everybody who is told sees it', required: true },
    duration: { kind: 'text', value: 'length', summary: 'for how long, at most an hour' },
    confirm: { kind: 'text', value: 'a,b', summary: 'the roles again, instead of typing them' },
  },
  run: async (context, input) => (await import('./break-glass.ts')).breakGlass(context, input.options),
})

const acknowledge = defineCommand({
  name: 'acknowledge',
  summary: 'Say that you have looked at access that somebody took in an emergency',
  examples: [['sally request acknowledge ID --comment="seen, fine"', 'after two of these its user may do so again']],
  arguments: { id },
  options: { comment: { kind: 'text', value: 'text', summary: 'what you found' } },
  run: async (context, input) =>
    (await import('./break-glass.ts')).acknowledge(context, input.arguments.id, input.options.comment),
})

export const requestCommands = defineGroup({
  name: 'request',
  summary: 'Ask for access, and review what others ask for',
  commands: [create, search, ls, show, review, cancel, extend, giveBack, breakGlass, acknowledge],
})
