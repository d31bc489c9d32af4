import { createRouter, createWebHashHistory } from 'vue-router'

/** The rail: every page with its word and its icon. */
export const pages = [
  { path: '/experiments', label: 'Experiments', icon: 'i-lucide-flask-conical' },
  { path: '/teachers', label: 'Teachers', icon: 'i-lucide-graduation-cap' },
  { path: '/corpora', label: 'Corpora', icon: 'i-lucide-library' },
  { path: '/grids', label: 'Grids', icon: 'i-lucide-grid-3x3' },
  { path: '/queue', label: 'Queue', icon: 'i-lucide-list-ordered' },
  { path: '/runs', label: 'Runs', icon: 'i-lucide-activity' },
  { path: '/compare', label: 'Compare', icon: 'i-lucide-git-compare' },
  { path: '/playground', label: 'Playground', icon: 'i-lucide-message-square-text' },
  { path: '/reports', label: 'Reports', icon: 'i-lucide-file-text' },
  { path: '/settings', label: 'Settings', icon: 'i-lucide-settings' },
] as const

/** Made after the token has been taken out of the address: the history reads and rewrites it at once. */
export const createAppRouter = () =>
  createRouter({
    history: createWebHashHistory(),
    routes: [
      { path: '/', redirect: '/experiments' },
      { path: '/begin', component: () => import('./views/begin/BeginPage.vue') },
      { path: '/experiments', component: () => import('./views/experiments/ExperimentList.vue') },
      {
        path: '/experiments/:id',
        component: () => import('./views/experiments/ExperimentPage.vue'),
        props: true,
      },
      { path: '/teachers', component: () => import('./views/teachers/TeacherList.vue') },
      { path: '/corpora', component: () => import('./views/corpora/CorpusList.vue') },
      { path: '/grids', component: () => import('./views/grids/GridList.vue') },
      { path: '/grids/:id', component: () => import('./views/grids/GridPage.vue'), props: true },
      { path: '/queue', component: () => import('./views/queue/QueuePage.vue') },
      { path: '/runs', component: () => import('./views/runs/RunList.vue') },
      { path: '/runs/:id', component: () => import('./views/runs/RunPage.vue'), props: true },
      { path: '/compare', component: () => import('./views/compare/ComparePage.vue') },
      { path: '/playground', component: () => import('./views/playground/PlaygroundPage.vue') },
      { path: '/reports', component: () => import('./views/reports/ReportList.vue') },
      { path: '/reports/:id', component: () => import('./views/reports/ReportPage.vue'), props: true },
      { path: '/settings', component: () => import('./views/settings/SettingsPage.vue') },
      { path: '/:rest(.*)*', redirect: '/experiments' },
    ],
  })
