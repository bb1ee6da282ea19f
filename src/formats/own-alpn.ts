/**
 * What our own clients say in the ALPN extension (RFC 7301), beside `http/1.1`: they know the installation's authority, and are shown
 * its certificate whatever name they connect by. Never chosen: what is spoken is HTTP/1.1.
 */
export const OWN_ALPN = 'sallyport'
