import { BlockList, isIP } from 'node:net'

/**
 * Whether `address` is in a comma separated list of addresses and CIDR blocks, as in the source-address option. Like
 * sshd, one malformed entry (or one with host bits set) makes the whole list match nothing.
 */
export function isInAddressList(address: string, list: string): boolean {
  const peer = parseAddress(address)
  if (!peer) return false
  let found = false
  for (const entry of list.split(',')) {
    const block = parseBlock(entry)
    if (!block) return false
    if (block.family === peer.family && block.matches(peer.address)) found = true
  }
  return found
}

type Family = 'ipv4' | 'ipv6'

/** `::ffff:1.2.3.4`, as a dual-stack listener names an IPv4 peer, is that IPv4 address. */
function parseAddress(text: string): { family: Family; address: string } | null {
  const address = text.replace(/^::ffff:(?=\d+\.)/i, '')
  const version = isIP(address)
  return version === 0 ? null : { family: version === 4 ? 'ipv4' : 'ipv6', address }
}

function parseBlock(entry: string): { family: Family; matches: (address: string) => boolean } | null {
  const [network = '', bits, ...more] = entry.split('/')
  const parsed = parseAddress(network)
  if (!parsed || more.length > 0 || network.includes('%')) return null
  const { family, address } = parsed
  const width = family === 'ipv4' ? 32 : 128
  if (bits !== undefined && !/^(0|[1-9]\d{0,2})$/.test(bits)) return null
  const length = bits === undefined ? width : Number(bits)
  if (length > width || hasHostBits(bytesOf(parsed), length)) return null
  const block = new BlockList()
  block.addSubnet(address, length, family)
  return { family, matches: (peer) => block.check(peer, family) }
}

function hasHostBits(bytes: readonly number[], length: number): boolean {
  return bytes.some((byte, at) => (byte & (0xff >> Math.min(8, Math.max(0, length - at * 8)))) !== 0)
}

function bytesOf({ family, address }: { family: Family; address: string }): number[] {
  if (family === 'ipv4') return address.split('.').map(Number)
  // A trailing dotted quad counts as two groups.
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) => {
    return `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`
  })
  const [head = '', tail] = text.split('::')
  const groups = (part: string | undefined): number[] =>
    part ? part.split(':').map((g) => Number.parseInt(g, 16)) : []
  const front = groups(head)
  const back = groups(tail)
  const gap: number[] = Array.from({ length: 8 - front.length - back.length }, () => 0)
  return [...front, ...gap, ...back].flatMap((group) => [group >> 8, group & 0xff])
}
