// What answers look like. In the package this file is generated: the same types, written out.
export type {
  AccessRequest,
  AskPreview,
  Grant,
  Review,
  RequestState,
  ThresholdProgress,
} from '../src/contract/request.ts'
export type { RequestPreview } from '../src/contract/request-preview.ts'
export type { RequestNote } from '../src/contract/request-note.ts'
export type { ServiceScope } from '../src/contract/service-token.ts'
