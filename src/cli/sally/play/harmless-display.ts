// What a recorded program sent to a terminal, reduced to plain display: whoever replays it must not be asked, renamed, resized
// or written to. Follows ECMA-48 and xterm's ctlseqs as far as the list below; everything else is left out.

const ESC = 0x1b
const REPLACEMENT = [0xef, 0xbf, 0xbd]
const LONGEST_CSI = 64
const LARGEST_NUMBER = 9999

/** CSI finals that move, erase, insert, scroll or colour. */
const FINALS = new Set([...'@ABCDEFGHIJKLMPSTXZ`abdefgmrsu'])
/** Private modes of display: origin, wrap, blinking and visible cursor, alternate screen, synchronized output. */
const MODES = new Set(['6', '7', '12', '25', '47', '1047', '1048', '1049', '2026'])
const CHARSET_SLOTS = new Set([...'()*+'])
const CHARSETS = new Set([...'0AB12'])
const SINGLES = new Set([...'78DEMH'])
/** BS HT LF VT FF CR SO SI */
const CONTROLS = new Set([8, 9, 10, 11, 12, 13, 14, 15])

type State = 'text' | 'escape' | 'intermediate' | 'csi' | 'charset' | 'string' | 'string escape'

/** One channel's display. Keeps its place between calls, so that sequences and characters may be split anywhere. */
export class HarmlessDisplay {
  #state: State = 'text'
  #csi: number[] = []
  #slot = ''
  #out: number[] = []
  // The rest of a UTF-8 character: how many bytes, and what the next one may be.
  #need = 0
  #low = 0x80
  #high = 0xbf
  // C2 waits for the byte behind it: C2 80 to C2 9F are control characters.
  #heldC2 = false
  #alternate = false

  /** The bytes to show. Those that are not UTF-8 stay, unless a terminal could take them for control characters. */
  pass(bytes: Uint8Array): Buffer {
    this.#out = []
    for (const byte of bytes) this.#take(byte)
    const shown = Buffer.from(this.#out)
    this.#out = []
    return shown
  }

  /** Puts back what the display may have left changed: alternate screen, colours, scrolling region, character set. */
  restore(): string {
    const leave = this.#alternate ? '\x1b[?1049l' : ''
    return `${leave}\x1b[m\x1b[r\x1b(B\x0f\x1b[?25h\x1b[?7h`
  }

  #take(byte: number): void {
    if (this.#state === 'text') return this.#text(byte)
    if (byte === 0x18 || byte === 0x1a) this.#state = 'text'
    else if (byte === ESC) {
      this.#state = this.#state === 'string' ? 'string escape' : 'escape'
      this.#heldC2 = false
    } else if (this.#state === 'string') this.#string(byte)
    else if (this.#state === 'intermediate') this.#intermediate(byte)
    else if (this.#state === 'string escape') this.#stringEscape(byte)
    else if (this.#state === 'escape') this.#escape(byte)
    else if (this.#state === 'charset') this.#charset(byte)
    else this.#control(byte)
  }

  #text(byte: number): void {
    if (this.#heldC2) {
      this.#heldC2 = false
      if (byte >= 0x80 && byte <= 0x9f) return
      this.#out.push(0xc2)
      if (byte >= 0xa0 && byte <= 0xbf) return void this.#out.push(byte)
    }
    if (this.#need > 0) {
      const fits = byte >= this.#low && byte <= this.#high
      this.#need = fits ? this.#need - 1 : 0
      this.#low = 0x80
      this.#high = 0xbf
      if (fits) return void this.#out.push(byte)
    }
    if (byte === ESC) this.#state = 'escape'
    else if (byte < 0x20) this.#c0(byte)
    else if (byte < 0x7f) this.#out.push(byte)
    else if (byte >= 0x80) this.#high8(byte)
  }

  #c0(byte: number): void {
    if (CONTROLS.has(byte)) this.#out.push(byte)
  }

  #high8(byte: number): void {
    if (byte === 0xc2) {
      this.#heldC2 = true
      return
    }
    if (byte <= 0x9f) return void this.#out.push(...REPLACEMENT)
    if (byte > 0xc2 && byte < 0xe0) this.#expect(1)
    else if (byte >= 0xe0 && byte < 0xf0) this.#expect(2, byte === 0xe0 ? 0xa0 : 0x80, byte === 0xed ? 0x9f : 0xbf)
    else if (byte >= 0xf0 && byte < 0xf5) this.#expect(3, byte === 0xf0 ? 0x90 : 0x80, byte === 0xf4 ? 0x8f : 0xbf)
    this.#out.push(byte)
  }

  #expect(need: number, low = 0x80, high = 0xbf): void {
    this.#need = need
    this.#low = low
    this.#high = high
  }

  #escape(byte: number): void {
    const char = String.fromCharCode(byte)
    this.#state = 'text'
    if (char === '[') {
      this.#csi = []
      this.#state = 'csi'
    } else if (CHARSET_SLOTS.has(char)) {
      this.#slot = char
      this.#state = 'charset'
    } else if (']PX^_'.includes(char)) this.#state = 'string'
    else if (SINGLES.has(char)) this.#out.push(ESC, byte)
    // A full reset would take the scrollback of whoever watches with it.
    else if (char === 'c') this.#put('\x1b[m\x1b[r\x1b[H\x1b[2J')
    else if (byte >= 0x20 && byte <= 0x2f) this.#state = 'intermediate'
    else if (byte < 0x20 || byte >= 0x80) this.#text(byte)
  }

  /** Whatever ends the sequence belongs to it and must not be shown as text. */
  #intermediate(byte: number): void {
    if (byte >= 0x30) this.#state = 'text'
    else if (byte < 0x20) this.#c0(byte)
  }

  /** OSC, DCS and the like: nothing of them is shown. They end with BEL, ESC \\ or C2 9C; what follows must be seen again. */
  #string(byte: number): void {
    if (byte === 0x07 || (this.#heldC2 && byte === 0x9c)) this.#state = 'text'
    this.#heldC2 = byte === 0xc2
  }

  #stringEscape(byte: number): void {
    this.#state = 'text'
    // ESC \ ends the string; any other sequence begins where a terminal would begin it.
    if (byte !== 0x5c) this.#escape(byte)
  }

  #charset(byte: number): void {
    this.#state = 'text'
    if (CHARSETS.has(String.fromCharCode(byte))) this.#put(`\x1b${this.#slot}${String.fromCharCode(byte)}`)
  }

  #control(byte: number): void {
    if (byte < 0x20) return this.#c0(byte)
    if (byte >= 0x80) {
      this.#state = 'text'
      return this.#text(byte)
    }
    if (byte < 0x40) {
      if (this.#csi.length <= LONGEST_CSI) this.#csi.push(byte)
      return
    }
    this.#state = 'text'
    if (this.#csi.length > LONGEST_CSI) return
    const sequence = Buffer.from(this.#csi).toString('latin1')
    const allowed = allowedSequence(sequence, String.fromCharCode(byte))
    if (allowed === null) return
    if (/^\?(47|1047|1049)[hl]$/.test(allowed)) this.#alternate = allowed.endsWith('h')
    this.#put(`\x1b[${allowed}`)
  }

  #put(text: string): void {
    this.#out.push(...Buffer.from(text, 'latin1'))
  }
}

/** Parameters and final as they may be shown, or null. */
function allowedSequence(parameters: string, final: string): string | null {
  if (final === 'h' || final === 'l') {
    const modes = parameters.startsWith('?') ? parameters.slice(1).split(';') : []
    const kept = modes.filter((mode) => MODES.has(mode))
    return kept.length > 0 ? `?${kept.join(';')}${final}` : null
  }
  // Cursor shapes
  if (final === 'q') return /^[0-6]? $/.test(parameters) ? `${parameters}q` : null
  if (!FINALS.has(final) || !/^[0-9;:]*$/.test(parameters)) return null
  if (parameters.split(/[;:]/).some((number) => Number(number) > LARGEST_NUMBER)) return null
  // Erasing the scrollback
  if (final === 'J' && !/^[012]?$/.test(parameters)) return null
  return `${parameters}${final}`
}
