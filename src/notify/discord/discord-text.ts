import { cutText, visibleText } from '../words/inert-text.ts'

const SPECIAL = /[!-/:-@[-`{-~]/g

/**
 * A backslash before each ASCII sign, which Discord shows as the sign itself: nothing is left that could be a mention, link, emoji
 * or markup. `cut`: what was typed is not all there. The limit counts what is sent, backslashes too.
 */
export function discordText(text: string, limit: number): { readonly text: string; readonly cut: boolean } {
  const whole = visibleText(text)
  const escaped = escapeSigns(whole)
  if (escaped.length <= limit) return { text: escaped, cut: false }
  let end = Math.min(whole.length, limit)
  while (escapeSigns(cutText(whole, end)).length > limit) end = Math.min(end - 1, Math.floor(end * 0.9))
  return { text: escapeSigns(cutText(whole, end)), cut: true }
}

const escapeSigns = (text: string): string => text.replace(SPECIAL, (sign) => `\\${sign}`)
