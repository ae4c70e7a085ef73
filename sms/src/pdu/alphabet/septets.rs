//! Packing of septets into octets, least significant bits first (3GPP TS 23.038 §6.1.2.1).

/// Octets that `count` septets after `fill` bits occupy.
pub const fn packed_len(count: usize, fill: usize) -> usize {
    (count * 7 + fill).div_ceil(8)
}

/// Packs `septets` (one to an octet) behind `fill` zero bits, 0 to 6, which align the text to a
/// septet boundary after a user data header. Unused bits of the last octet are zero.
pub fn pack(septets: &[u8], fill: usize) -> Vec<u8> {
    let mut octets = vec![0; packed_len(septets.len(), fill)];
    for (index, &septet) in septets.iter().enumerate() {
        let bit = fill + index * 7;
        let spread = u16::from(septet & 0x7F) << (bit % 8);
        octets[bit / 8] |= spread as u8;
        if let Some(next) = octets.get_mut(bit / 8 + 1) {
            *next |= (spread >> 8) as u8;
        }
    }
    octets
}

/// Unpacks `count` septets behind `fill` bits; `None` when `octets` holds fewer.
pub fn unpack(octets: &[u8], fill: usize, count: usize) -> Option<Vec<u8>> {
    if packed_len(count, fill) > octets.len() {
        return None;
    }
    let octet = |at: usize| u16::from(octets.get(at).copied().unwrap_or(0));
    Some(
        (0..count)
            .map(|index| {
                let bit = fill + index * 7;
                let window = octet(bit / 8) | octet(bit / 8 + 1) << 8;
                (window >> (bit % 8)) as u8 & 0x7F
            })
            .collect(),
    )
}
