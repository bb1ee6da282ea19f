// Production freeze: over the holidays nothing is changed in production; the release team may, two of them agreeing.
import { abstain, deny, require, type Policy } from '@sallyport/sdk/policy'
import { isProduction } from './lib/production.ts'

export const zone = 'Europe/Berlin'

const FREEZES = [
  { from: '2026-12-19', to: '2027-01-04' },
  { from: '2027-03-25', to: '2027-03-30' },
]

const productionFreeze: Policy = ({ request, requester, time }) => {
  const freeze = FREEZES.find(({ from, to }) => from <= time.date && time.date < to)
  if (!freeze || !request.roles.some(isProduction)) return abstain()
  if (!requester.roles.includes('release')) return deny(`production is frozen until ${freeze.to}`)
  return require('release', 2)
}
export default productionFreeze
