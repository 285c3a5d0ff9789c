/**
 * An application on the real drachtio-srf, connected to the stand-in of its server; both end with the test.
 */
import Srf from 'drachtio-srf'
import { onTestFinished } from 'vitest'
import { startFakeDrachtio, type FakeDrachtio } from './fake-drachtio-server.ts'

/** The application's handle, and its server. */
export interface DrachtioApp {
  readonly srf: Srf
  readonly server: FakeDrachtio
}

/** `define` adds middleware and handlers; the test goes on once the server knows the methods they are for. */
export async function startDrachtioApp(
  define: (srf: Srf) => void,
  server?: FakeDrachtio,
): Promise<DrachtioApp> {
  const own = server ?? (await startFakeDrachtio())
  if (server === undefined) onTestFinished(() => own.close())
  const srf = new Srf()
  define(srf)
  srf.on('error', () => {})
  const connected = new Promise<void>((resolve, reject) => {
    srf.on('connect', (error: Error | null) => (error ? reject(error) : resolve()))
  })
  void srf.connect({ host: own.host, port: own.port, secret: own.secret })
  await connected
  onTestFinished(() => srf.disconnect())
  while (own.routed.size === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  return { srf, server: own }
}
