// A certificate authority of a test's own, and what it signs: X.509 (RFC 5280) in DER, by hand,
// because Node makes no certificates and not every machine has openssl.
import { X509Certificate, generateKeyPairSync, sign } from 'node:crypto'

export interface Certificates {
  /** The authority, as `tls: { ca }` takes it. */
  readonly ca: string
  /** For 127.0.0.1 and localhost, signed by the authority. */
  readonly cert: string
  readonly key: string
}

export function makeCertificates(): Certificates {
  const authority = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const server = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const issue = (subject: string, key: typeof server.publicKey, extension: Buffer): string => {
    const body = der(
      0x30,
      der(0xa0, der(0x02, [2])), // version 3
      der(0x02, [subject.length]), // a serial number: different for each is all that is asked
      ECDSA_WITH_SHA256,
      nameOf('test authority'),
      der(0x30, der(0x17, '200101000000Z'), der(0x18, '20990101000000Z')),
      nameOf(subject),
      key.export({ type: 'spki', format: 'der' }),
      der(0xa3, der(0x30, extension)),
    )
    const signature = sign('sha256', body, authority.privateKey)
    const bytes = der(0x30, body, ECDSA_WITH_SHA256, der(0x03, [0], signature))
    return new X509Certificate(bytes).toString()
  }
  const isAuthority = der(
    0x30,
    oid('551d13'),
    der(0x01, [0xff]),
    der(0x04, der(0x30, der(0x01, [0xff]))),
  )
  const names = der(0x30, der(0x82, 'localhost'), der(0x87, [127, 0, 0, 1]))
  return {
    ca: issue('test authority', authority.publicKey, isAuthority),
    cert: issue('localhost', server.publicKey, der(0x30, oid('551d11'), der(0x04, names))),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** Tag, length, contents. */
function der(tag: number, ...contents: (Buffer | string | readonly number[])[]): Buffer {
  const content = Buffer.concat(contents.map((each) => Buffer.from(each as string)))
  const { length } = content
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function nameOf(commonName: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, commonName))))
}

const ECDSA_WITH_SHA256 = der(0x30, oid('2a8648ce3d040302'))
