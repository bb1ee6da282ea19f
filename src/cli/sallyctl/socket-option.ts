/** Read by the dial: `context.socket`. */
export const socket = {
  kind: 'text',
  value: 'path',
  summary: "the daemon's admin socket",
  env: 'SALLYPORT_SOCKET',
} as const
