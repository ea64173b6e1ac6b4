/** The same with React 19, which also hides what it keeps (`<Activity>`). */
process.env['ROOMWIRE_TEST_REACT'] = '19';
await import('./rooms.test.js');
await import('./locks.test.js');
