// placeholder until work/refresh lands
import type { IncomingMessage } from 'node:http'
export interface RefreshContext { readonly key: string; stored?: boolean }
export interface RefreshRequest { url: string; host: string; protocol: string; remoteAddress: string | undefined; headers: Record<string, string | string[]> }
export function refreshOf(_raw: IncomingMessage): RefreshContext | undefined { return undefined }
export class Revalidator { refresh(_k: string, _r: RefreshRequest, _c: RefreshContext): boolean { return true } close(): Promise<void> { return Promise.resolve() } }
