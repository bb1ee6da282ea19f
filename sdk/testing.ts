// A throw-away daemon for the tests of a program of your own: on loopback, with people, roles and a clock that can be moved.
export { startDaemon, TestDaemon } from './testing/test-daemon.ts'
export type { ServiceAccountOptions, StartOptions } from './testing/test-daemon.ts'
export { TestPerson } from './testing/test-person.ts'
export type { AskOptions } from './testing/test-person.ts'
