// Ticket required: production is asked for with a ticket number, and for no longer than the ticket's kind deserves.
import { abstain, deny, limit, type Policy } from '@sallyport/sdk/policy'
import { isProduction } from './lib/production.ts'

const ticketRequired: Policy = ({ request }) => {
  if (!request.roles.some(isProduction)) return abstain()
  const ticket = /\b(INC|CHG)-\d+\b/.exec(request.reason)
  if (!ticket) return deny('name a ticket: INC-123 for an incident, CHG-123 for a change')
  return limit(ticket[1] === 'INC' ? '4h' : '1h')
}
export default ticketRequired
