// Which room of the house may import which, with the reason for each arrow. A room is a path prefix; the longest match wins.

export interface Room {
  readonly path: string
  /** Rooms and files that it may import besides itself, by prefix. */
  readonly mayImport: readonly string[]
  /** npm packages; `any` = every production dependency. */
  readonly packages: readonly string[] | 'any'
  /** Modules of Node itself; `any` = all. */
  readonly node: readonly string[] | 'any'
  /** Why the arrows end where they end. */
  readonly because: string
}

const PURE_NODE = ['node:buffer', 'node:crypto', 'node:util']
/** Parts of impure modules that compute and nothing else: allowed everywhere. */
export const PURE_NAMES: Readonly<Record<string, readonly string[]>> = {
  'node:net': ['BlockList', 'isIP', 'isIPv4', 'isIPv6'],
}
const CLI_FOUNDATION = ['clock', 'log', 'errors', 'ids', 'streams', 'metrics'].map((name) => `src/foundation/${name}`)
const STORED = ['src/audit', 'src/resources', 'src/recording', 'src/identity']
const LOW = ['src/contract', 'src/foundation', 'src/formats']

export const ROOMS: readonly Room[] = [
  {
    path: 'src/contract',
    mayImport: [],
    packages: ['zod'],
    node: [],
    because:
      'the contract is what crosses a wire: the server, command lines, page and integrations read it, so it drags nothing along',
  },
  {
    path: 'src/formats',
    mayImport: [],
    packages: [],
    node: PURE_NODE,
    because: 'formats are pure: whoever verifies a chain or a certificate offline needs no store, socket or clock',
  },
  {
    path: 'src/foundation',
    mayImport: ['src/contract', 'src/formats'],
    packages: 'any',
    node: 'any',
    because: 'the foundation carries every room and knows none of them',
  },
  {
    path: 'src/audit',
    mayImport: LOW,
    packages: 'any',
    node: 'any',
    because: 'every deed is stored through audit, so audit may depend on nobody whose deeds it stores',
  },
  {
    path: 'src/resources',
    mayImport: ['src/audit', ...LOW],
    packages: 'any',
    node: 'any',
    because: 'what exists is independent of who may reach it',
  },
  {
    path: 'src/recording',
    mayImport: ['src/audit', ...LOW],
    packages: 'any',
    node: 'any',
    because: 'session files are stored and read without knowing who may play them',
  },
  {
    path: 'src/identity',
    mayImport: ['src/audit', 'src/resources', ...LOW],
    packages: 'any',
    node: 'any',
    because: 'users and roles are judged without knowing requests, grants or connections',
  },
  {
    path: 'src/policies',
    mayImport: ['src/identity/time-window.ts', ...LOW],
    packages: 'any',
    node: 'any',
    because: 'policies are run on facts that are handed in: their sandbox knows no store, request or user',
  },
  {
    path: 'src/policies/sandbox',
    mayImport: [],
    packages: ['quickjs-emscripten-core', '@jitl/quickjs-wasmfile-release-sync', 'zod'],
    node: ['node:fs', 'node:module', 'node:net', 'node:url'],
    because: 'what runs beside code that somebody else wrote has nothing of ours at hand',
  },
  {
    path: 'src/grants',
    mayImport: [...STORED, ...LOW],
    packages: 'any',
    node: 'any',
    because: 'grants are the one place where the two paths meet: access writes them, connection reads them',
  },
  {
    path: 'src/access',
    mayImport: ['src/grants', ...STORED, ...LOW],
    packages: 'any',
    node: 'any',
    because: 'a request is decided without knowing how its grant will be used: access never imports connection',
  },
  {
    path: 'src/connection',
    mayImport: ['src/grants', ...STORED, ...LOW],
    packages: 'any',
    node: 'any',
    because: 'a connection obeys grants and cannot make one: connection never imports access',
  },
  {
    path: 'src/connection/relay',
    mayImport: [
      'src/connection/admitted-session.ts',
      'src/connection/authorization.ts',
      'src/connection/control-plane.ts',
      'src/connection/client-tls.ts',
      'src/connection/database-session-states.ts',
      'src/connection/kept-bytes.ts',
      'src/connection/live-end.ts',
      'src/connection/relay-sessions.ts',
      'src/connection/statement-recorder.ts',
      'src/connection/turns.ts',
      'src/connection/upstream-context.ts',
      'src/connection/waiting-client.ts',
      'src/foundation/buffer-garbage.ts',
      'src/recording',
      'src/contract',
      'src/formats',
      'src/foundation/buffer-garbage.ts',
      ...CLI_FOUNDATION,
    ],
    packages: [],
    node: 'any',
    because: 'the data path is given no authority: a relay gets no store, keys, roles or config, only the ControlPlane',
  },
  {
    path: 'src/http-api',
    mayImport: ['src/access', 'src/connection', 'src/grants', ...STORED, ...LOW],
    packages: 'any',
    node: 'any',
    because: 'the API unwraps, calls and presents; it is wired up from main and knows no command line',
  },
  {
    path: 'src/cli',
    mayImport: ['src/contract', 'src/formats', ...CLI_FOUNDATION],
    packages: 'any',
    node: 'any',
    because: 'the command lines have no power that another client of the API lacks',
  },
  {
    path: 'src/notify',
    mayImport: ['src/contract', 'src/formats', 'src/foundation/outbound-fetch.ts', ...CLI_FOUNDATION],
    packages: 'any',
    node: 'any',
    because: 'what is built in to tell people has no power that an integration from outside lacks',
  },
  {
    path: 'sdk',
    mayImport: ['src/contract', 'src/formats'],
    packages: [],
    node: 'any',
    because: 'the SDK is packed with the contract and nothing else of the daemon: whoever installs it needs Node alone',
  },
  {
    path: 'sdk/examples',
    mayImport: [],
    packages: ['@sallyport/sdk'],
    node: 'any',
    because: 'an example has nothing that its reader lacks',
  },
  {
    path: 'src/main',
    mayImport: ['src/'],
    packages: 'any',
    node: 'any',
    because: 'main wires everything up: the only place that sees everything',
  },
]

/** Inside a room that matches, the part between prefix and the next slash is a flat of its own: flats never import each other. */
export const FLATS: readonly { readonly path: string; readonly because: string }[] = [
  { path: 'src/connection/relay/', because: 'one protocol can be read, changed and attacked without another' },
]

/** `wire/` folders of the relays. */
export const WIRE = {
  pattern: /^src\/connection\/relay\/[^/]+\/wire\//,
  mayImport: ['src/foundation/streams', 'src/formats'],
  node: PURE_NODE,
  because: 'wire code is a pure codec, tested byte by byte: no socket, clock, log or config',
}

/** Tests beside the code may use these besides what their room may use. */
export const TEST_PACKAGES = ['vitest', 'fast-check', '@slack/types']
export const TEST_ROOMS = ['src/contract', 'src/foundation/errors.ts']

export function roomOf(path: string): Room | undefined {
  return ROOMS.filter((room) => path.startsWith(`${room.path}/`)).sort((a, b) => b.path.length - a.path.length)[0]
}

export const isTest = (path: string): boolean => path.endsWith('.test.ts')
