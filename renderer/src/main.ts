import ui from '@nuxt/ui/vue-plugin'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { startClient } from './api/client'
import App from './App.vue'
import { createAppRouter } from './router'
import './style.css'
import { watchNavigation } from './ui/address'
import { showColorMode } from './ui/colorMode'

// Takes the token out of the address before the router reads it.
startClient()
showColorMode('system')
const router = createAppRouter()
watchNavigation(router)
createApp(App).use(createPinia()).use(router).use(ui).mount('#app')
