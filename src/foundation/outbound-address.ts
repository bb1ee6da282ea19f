import { BlockList, isIP } from 'node:net'

/** Networks that are not the public internet, or must not be reached from inside: RFC 6890 and its followers. */
const SPECIAL_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
] as const

/** Of IPv6 only 2000::/3 is public, and not all of it: tunnels carry an IPv4 address inside. */
const SPECIAL_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'] as const

const special = networks([...SPECIAL_V4, ...SPECIAL_V6])
const publicV6 = networks(['2000::/3'])

/** Where an integration may connect to: the public internet, and private networks that it was allowed by name. */
export interface OutboundRules {
  /** Null: it may be reached. Else why not; `address` is an IP address, brackets and zones included. */
  trouble(address: string): string | null
  /** It lies in a network that was allowed by name: there, plain HTTP and odd ports are somebody's decision. */
  isNamed(address: string): boolean
}

/** Errors: RangeError naming the entry that is no CIDR. */
export function outboundRules(allowNetworks: readonly string[]): OutboundRules {
  const allowed = networks(allowNetworks)
  const isNamed = (address: string): boolean => {
    const plain = plainAddress(address)
    return plain !== null && holds(allowed, plain)
  }
  return {
    isNamed,
    trouble(address) {
      const plain = plainAddress(address)
      if (plain === null) return `${address} is no address`
      if (holds(allowed, plain)) return null
      const isPublic = isIP(plain) === 4 ? !holds(special, plain) : holds(publicV6, plain) && !holds(special, plain)
      return isPublic ? null : `${plain} is in no public network`
    },
  }
}

function networks(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', bits = ''] = cidr.split('/')
    const family = isIP(address)
    const prefix = /^\d{1,3}$/.test(bits) ? Number(bits) : NaN
    if (family === 0 || !(prefix <= (family === 4 ? 32 : 128)))
      throw new RangeError(`"${cidr.slice(0, 60)}" is no network; write 10.1.0.0/16 or fd00:1::/32`)
    list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

const holds = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')

/** Without brackets and zone; an IPv4 address that is written as IPv6 as what it is. Null: none. */
function plainAddress(text: string): string | null {
  const address = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  const family = isIP(address)
  if (family !== 6) return family === 4 ? address : null
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  // ::ffff:7f00:1, and ::7f00:1, which some systems take for the same.
  const mapped = /^::(?:ffff:(?:0:)?)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (!mapped) return canonical
  const [high, low] = [parseInt(mapped[1] ?? '', 16), parseInt(mapped[2] ?? '', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
