// A reader of HTML that trusts nothing: it sees every tag that a browser could see, wherever it stands.

export interface SeenHtml {
  /** Whatever would be loaded or could be pressed */
  readonly links: readonly string[]
  readonly tags: ReadonlySet<string>
  /** The text between the tags, with entities resolved */
  readonly text: string
}

const TAG = /<\/?([a-zA-Z!][^\s/>]*)([^>]*)>/g
const ADDRESS =
  /(?:href|src|action|background|poster|data|srcset|formaction|xlink:href)\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)/gi
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }

/** What a style may say: nothing of it loads, hides, moves or covers anything. */
const STYLE =
  /^(?:(?:font-family|font-size|font-weight|line-height|margin|padding|color|background|border|border-radius|border-collapse|max-width|text-align|text-decoration|vertical-align|white-space|word-break): [a-z0-9#,. -]+(?:; |$))+$/i

/** Throws at what only ever hides something: comments inside, scripts, style sheets, odd styles, event handlers. */
export function harmless(html: string): SeenHtml {
  const links: string[] = []
  const tags = new Set<string>()
  for (const [, name = '', attributes = ''] of html.matchAll(TAG)) {
    if (name.toLowerCase() === '!doctype') continue
    if (name.startsWith('!')) throw new Error(`a comment or declaration: <${name}`)
    if (/\son[a-z]+\s*=/i.test(attributes)) throw new Error(`a handler: <${name}${attributes}>`)
    for (const [, , double, single, bare] of attributes.matchAll(
      /\s(style)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))/gi,
    )) {
      const style = double ?? single ?? bare ?? ''
      if (!STYLE.test(style) || /font-size: [0-9](?:px|pt)?\b(?!\d)/.test(style))
        throw new Error(`an odd style: ${style}`)
    }
    tags.add(name.toLowerCase())
    for (const [, address = ''] of attributes.matchAll(ADDRESS))
      links.push(resolved(address.replace(/^["']|["']$/g, '')))
  }
  const text = resolved(html.replace(TAG, ' '))
  if (/[<>]/.test(html.replace(TAG, ''))) throw new Error('a bracket that belongs to no tag')
  return { links, tags, text }
}

const resolved = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (whole, name: string) => ENTITIES[name] ?? whole)
