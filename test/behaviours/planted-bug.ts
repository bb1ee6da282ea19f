/** One bug: in `file`, `from` (which must stand there exactly once) becomes `to`. Spaces and line breaks count as one blank. */
export interface PlantedBug {
  readonly bug: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

/** A bug in one place. */
export const bug = (name: string, file: string, from: string, to: string): PlantedBug => ({
  bug: name,
  edits: [{ file, from, to }],
})
