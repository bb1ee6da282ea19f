import { createHash } from 'node:crypto'

/** Text that is HTML already: nothing else gets into a page unescaped. */
export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

type Part = string | number | Html | readonly Html[] | null

/** `html\`<p>${reason}</p>\``: what is put in is escaped unless it is Html. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.map((text, index) => text + (index < parts.length ? inner(parts[index] ?? null) : '')).join(''))
}

function inner(part: Part): string {
  if (part === null) return ''
  if (part instanceof Html) return part.toString()
  if (typeof part === 'object') return part.map(String).join('')
  return escaped(String(part))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Control characters and those that turn the direction of writing are shown as what they are. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => (character === '\n' ? '\n' : '\u{fffd}'))
}

// Colours by light-dark(): of text on its ground at least 4.5 to 1, of the edges of fields and of focus at least 3 to 1.
const STYLE = `:root{color-scheme:light dark;--ink:light-dark(#1b1f24,#e6edf3);--soft:light-dark(#57606a,#9ea7b3);--ground:light-dark(#fff,#0d1117);--edge:light-dark(#818b98,#6e7681);--accent:light-dark(#0550ae,#58a6ff);--bad:light-dark(#a40e26,#ff8182);--bad-ground:light-dark(#ffebe9,#3c1618);--quiet:light-dark(#f3f5f7,#161b22)}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:0 auto;padding:1.5rem 1rem 3rem;color:var(--ink);background:var(--ground)}
h1{font-size:1.4rem;line-height:1.3;margin:0 0 1rem;overflow-wrap:anywhere}code{overflow-wrap:anywhere;background:var(--quiet);padding:.1rem .3rem;border-radius:4px}
dl{display:grid;grid-template-columns:minmax(6rem,9rem) 1fr;gap:.4rem 1rem;margin:1rem 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}
form{margin:1.5rem 0 0;padding:1rem 1.2rem 1.2rem;border:1px solid var(--edge);border-radius:8px}label,legend{display:block;font-weight:600;margin:1rem 0 .3rem;padding:0}form>label:first-of-type{margin-top:0}
fieldset{border:0;margin:0;padding:0}legend{margin-top:0}.choice{display:inline-flex;align-items:center;gap:.5rem;font-weight:400;margin:0 1.5rem 0 0;padding:.5rem 0}
input:not([type=radio]),textarea{font:inherit;color:inherit;background:var(--ground);width:100%;padding:.5rem .6rem;border:1px solid var(--edge);border-radius:6px}input[type=radio]{width:1.15rem;height:1.15rem;margin:0;accent-color:var(--accent)}
input[aria-invalid],textarea[aria-invalid]{border-color:var(--bad)}:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
button{font:inherit;font-weight:600;margin-top:1.2rem;padding:.6rem 1.3rem;border:1px solid var(--accent);border-radius:6px;color:var(--ground);background:var(--accent);cursor:pointer}
.wrong,.standing{border-left:4px solid var(--edge);margin:1rem 0;padding:.5rem .8rem;background:var(--quiet)}.wrong,.denied{border-color:var(--bad);background:var(--bad-ground)}.approved{border-color:light-dark(#1a7f37,#3fb950)}
.at-field{color:var(--bad);margin:0 0 .3rem;font-weight:600}.hint{color:var(--soft);font-size:.9rem;margin:.3rem 0 0}
@media(max-width:30rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.6rem}button{width:100%}}`

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

/**
 * No script, nothing from elsewhere, no frame around it, no trace of its address anywhere else. `no-referrer` would make browsers send
 * `Origin: null` with our own forms.
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'x-robots-tag': 'noindex, nofollow',
}

export function page(title: string, body: Html): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(title)} - Sallyport</title><style>${STYLE}</style></head><body><main><h1>${escaped(title)}</h1>${body.toString()}</main></body></html>`
}
