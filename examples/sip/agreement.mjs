// @ts-check
/** What both ends of the trunk have settled. */
import { defineAgreement } from 'auth-xkeys'

export const agreement = defineAgreement({
  header: 'X-Auth',
  group: 'trunk-a',
  algorithm: 'hmac-sha256',
  // The sender's own address is $Ri to itself, and $si to the receiver.
  request: {
    sender: '$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$(rb{s.sha256})',
    receiver: '$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$(rb{s.sha256})',
  },
  response: {
    sender: '$Ri:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
    receiver: '$si:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
  },
})
