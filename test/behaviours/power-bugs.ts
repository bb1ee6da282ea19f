import { bug, type PlantedBug } from './planted-bug.ts'

const TALLY = 'access/decide/tally.ts'
const ACCESS = 'identity/node-access.ts'
const RULING = 'access/automate/ruling.ts'
const TAKE = 'access/break-glass/take-access.ts'
const PLAN = 'access/break-glass/plan-break-glass.ts'

/** Found by the model of pins, rules, policies and emergencies. */
export const POWER_BUGS: readonly PlantedBug[] = [
  bug('a node labelled anew is wider than at approval', ACCESS, '[resource.labels, pin.labels]', '[resource.labels]'),
  bug('a node labelled anew out of a role stays open', ACCESS, '[resource.labels, pin.labels]', '[pin.labels]'),
  bug(
    'a pin goes by the name instead of the id',
    ACCESS,
    'find(({ kind, id }) => kind === resource.kind && id === resource.id)',
    'find(({ kind, name }) => kind === resource.kind && name === resource.name)',
  ),
  bug('another machine under a pinned id', ACCESS, 'pin && pin.identity === resource.identity', 'pin'),
  bug(
    'a resource grant opens whatever its roles give',
    ACCESS,
    'if (!confinedTo?.resources)',
    'if (!confinedTo?.resources || confinedTo)',
  ),
  bug('a narrowing is forgotten', ACCESS, 'only === undefined || only === login', "only !== ''"),
  bug(
    'a role that may be searched may be asked for as a whole',
    'identity/role-rules.ts',
    'if (blocks.some(allows))',
    'if (blocks.length > 0)',
  ),
  bug(
    'of several roles the one with most logins',
    'identity/role-rules.ts',
    'a.accounts.length - b.accounts.length',
    'b.accounts.length - a.accounts.length',
  ),
  bug('a locked node is asked for', 'access/ask/plan-resources.ts', 'if (lock !== undefined)', "if (lock === '')"),
  bug(
    'a named role that gives nothing of it',
    'access/ask/plan-resources.ts',
    'if (!idle) return',
    "if (!idle || idle.name !== '') return",
  ),
  bug(
    'what a resource is does not bind votes',
    'access/route/route-request.ts',
    '...(resources.length === 0 ? {} : { resources }),',
    '',
  ),
  bug('an approval overrides the denial of a rule', TALLY, '|| ballots.some(deniesOutright)', ''),
  bug(
    'a deciding rule overrides what another one requires',
    TALLY,
    'role.requestable && ownMet && required.every((set) => set.met)',
    'role.requestable && (decided.length > 0 || (ownMet && required.every((set) => set.met)))',
  ),
  bug('a deciding rule decides nothing', TALLY, '(decided.length > 0 || own.every', '(own.every'),
  bug(
    'every rule that approves decides',
    TALLY,
    '(decides ? [by] : [])',
    "(by === '' || decides !== null ? [by] : [])",
  ),
  bug('a failing rule does not block', RULING, 'isCurrent(judged, facts) ? blockedBy(judged) : null', 'null'),
  bug('a rule that can only approve blocks when it fails', RULING, 'judgement.ok || approveOnly ?', 'judgement.ok ?'),
  bug(
    'what failed under rules that are gone blocks on',
    RULING,
    'isCurrent(judged, facts) ? blockedBy(judged) : null',
    'blockedBy(judged)',
  ),
  bug('a limit of a rule is ignored', TALLY, 'ruling?.limitMs ?? Infinity,', ''),
  bug(
    'a rule speaks about roles that it does not name',
    'access/automate/judge-rules.ts',
    'requested.filter((role) => matchesAny(spec.roles, role.name))',
    'requested.filter((role) => role.name || matchesAny(spec.roles, role.name))',
  ),
  bug(
    'rules are not asked again at a vote',
    'access/automate/judge-again.ts',
    'const automation = judge(directory, facts, seen, answers, onCall)',
    'const automation = request.automation ?? judge(directory, facts, seen, answers, onCall)',
  ),
  bug(
    'what a rule says no more stays',
    'access/automate/cast-automatic-votes.ts',
    'isAutomatic(vote) && vote.superseded_at === null && !ruling',
    "isAutomatic(vote) && vote.id === '' && !ruling",
  ),
  bug('a second emergency unacknowledged', TAKE, 'if (!open) return', 'if (open || !open) return'),
  bug('two emergencies at once', TAKE, 'if (live)', 'if (live && now < 0)'),
  bug(
    'one who looked is enough',
    'access/break-glass/acknowledge.ts',
    'LIMITS.acknowledgements - acknowledgements.length - 1',
    'LIMITS.acknowledgements - acknowledgements.length - 2',
  ),
  bug(
    'one who looks twice counts as two',
    'access/break-glass/acknowledge.ts',
    'if (acknowledgements.some((each) => each.user_id === member.id))',
    "if (acknowledgements.some((each) => each.user_id === ''))",
  ),
  bug('an emergency goes past a locked role', PLAN, 'if (lock !== undefined)', "if (lock === '')"),
  bug('locked people take roles', PLAN, 'refuseBadStanding(requester)', ''),
  bug('an emergency lasts as long as is liked', PLAN, 'if (wanted <= longestMs)', 'if (wanted > 0)'),
  bug(
    'roles that may be asked for may be taken',
    PLAN,
    "mayRequest(requester, role, 'break_glass').ok",
    'mayRequest(requester, role).ok',
  ),
]
