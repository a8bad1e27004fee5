/**
 * The ASN.1 layer of node-forge alone: loading all of it takes 60 ms of the daemon's start, this takes 5.
 * Typed here because node-forge's own typings know neither the path nor the options of `fromDer`.
 */
declare module 'node-forge/lib/asn1.js' {
  /** One value: a string of bytes (one character each) when plain, a list when constructed. */
  export interface Asn1 {
    readonly tagClass: number
    readonly type: number
    readonly constructed: boolean
    readonly value: string | Asn1[]
  }
  interface Bytes {
    getBytes(): string
  }
  const asn1: {
    readonly Class: { readonly UNIVERSAL: number; readonly CONTEXT_SPECIFIC: number }
    readonly Type: {
      readonly BOOLEAN: number
      readonly INTEGER: number
      readonly BITSTRING: number
      readonly OCTETSTRING: number
      readonly NULL: number
      readonly OID: number
      readonly UTF8: number
      readonly SEQUENCE: number
      readonly SET: number
      readonly PRINTABLESTRING: number
      readonly UTCTIME: number
      readonly GENERALIZEDTIME: number
    }
    create(tagClass: number, type: number, constructed: boolean, value: string | Asn1[]): Asn1
    toDer(value: Asn1): Bytes
    fromDer(
      bytes: string,
      options: {
        readonly strict: boolean
        readonly parseAllBytes: boolean
        readonly decodeBitStrings: boolean
      },
    ): Asn1
    oidToDer(dotted: string): Bytes
    derToOid(bytes: string): string
  }
  export default asn1
}
