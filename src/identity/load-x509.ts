/**
 * @peculiar/x509 takes 0.2 s to load, so it is loaded when a certificate is made and not before. Its dependency tsyringe
 * wants the reflect-metadata polyfill, of which it needs three functions that find nothing.
 */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata']) {
    if (!(name in Reflect)) Object.defineProperty(Reflect, name, { value: () => undefined, configurable: true })
  }
  return await import('@peculiar/x509')
}
