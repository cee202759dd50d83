import type { FieldValue } from './fields.ts'

/** Media types whose formats are compressed by themselves. */
const COMPRESSED_TYPE =
  /^(?:image\/(?!svg|bmp|x-icon|vnd\.microsoft\.icon)|audio\/(?!midi|wav)|video\/|font\/woff|application\/(?:zip|gzip|x-gzip|zstd|x-7z|x-rar|vnd\.rar|x-bzip|x-xz|pdf|font-woff|vnd\.openxmlformats|java-archive|epub))/i

/** Whether a body with these fields may become smaller; what was encoded once does not. */
export function isCompressible(
  headers: readonly (readonly [name: string, value: FieldValue])[],
): boolean {
  return headers.every(([name, value]) => {
    if (name === 'content-encoding') return String(value).toLowerCase() === 'identity'
    return name !== 'content-type' || !COMPRESSED_TYPE.test(String(value))
  })
}
