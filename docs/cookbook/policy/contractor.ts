// Contractor: people of other companies get in on working days only, for two hours, and the owner of their contract agrees.
import { abstain, deny, limit, require, type Policy } from '@sallyport/sdk/policy'

export const zone = 'Europe/Berlin'

const contractor: Policy = ({ requester, time }) => {
  const [owner] = requester.traits['contract_owner'] ?? []
  if (!requester.roles.includes('contractor')) return abstain()
  if (owner === undefined) return deny('no owner of the contract is named: ask your contact to set the trait contract_owner')
  if (time.weekday === 'sat' || time.weekday === 'sun' || time.hour < 8 || time.hour >= 18)
    return deny('contractors work from Monday to Friday, 8 to 18')
  return [require(`owner=${owner}`), limit('2h')]
}
export default contractor
