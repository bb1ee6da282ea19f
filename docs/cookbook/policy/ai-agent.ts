// AI agent with a human sponsor: an agent's account asks like anybody, but only for what agents may have, for minutes, and its
// sponsor must agree each time. Without a sponsor, or asking for more, it is refused.
import { abstain, deny, limit, require, type Policy } from '@sallyport/sdk/policy'

const FOR_AGENTS = ['staging-deploy', 'db-readonly']

const aiAgent: Policy = ({ request, requester }) => {
  if (!requester.roles.includes('ai-agent')) return abstain()
  const [sponsor] = requester.traits['sponsor'] ?? []
  if (sponsor === undefined) return deny('this agent has no sponsor: a human must answer for it')
  const beyond = request.roles.filter((role) => !FOR_AGENTS.includes(role))
  if (beyond.length > 0) return deny(`not for agents: ${beyond.join(', ')}`)
  return [require(`sponsors=${sponsor}`), limit('15m')]
}
export default aiAgent
