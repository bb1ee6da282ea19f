/** Rows that give or withhold power. Each is bound to the event that last changed it. */
export interface PowerRow {
  id: string
  event_id: string
}
