/**
 * What a browser sends as `Origin` with a form of a page, by the page's own referrer policy (Fetch, "append a request Origin
 * header"; as seen of Chromium): under `no-referrer` it is `null` even at home.
 */
export function sentOrigin(url: string, policy: string | readonly string[] | undefined): string {
  return String(policy) === 'no-referrer' ? 'null' : new URL(url).origin
}
